"""How each kind of model may be run, best first: what `auto` reads, and what was measured.

Accuracy is COCO AP on the images of the accuracy bench, against f32 on the same images; time is one
thread's, against onnxruntime's f32 on the same CPU: a Xeon with AMX where a step says so, else a
Zen 3 with AVX2 and no more. A step is within `auto`'s reach only where it keeps within one point of
f32 in every score that it touches. See docs/models.md for all scores, with their intervals.
"""

from contanos.models.choose import Step

_GPU = Step("onnxruntime", "f32", "an NVIDIA GPU runs f32 fastest", needs="GPU")
_F32 = Step("onnxruntime", "f32", "f32 by onnxruntime runs everywhere")
_F32_OPENVINO = Step("openvino", "f32", "f32 by OpenVINO, no faster than by onnxruntime")

UNCALIBRATED = (_GPU, _F32, _F32_OPENVINO)
"""For a model without a calibration table."""

DETECTOR = (
    _GPU,
    Step(
        "openvino",
        "bf16",
        "on a Xeon with AMX bf16 takes 0.4 of f32's time, int8 0.6; box AP -0.0, keypoint AP -0.1",
        needs="AMX",
    ),
    Step(
        "openvino",
        "int8",
        "int8 takes 0.7 of f32's time (Zen 3; a Xeon: 0.6) at box AP -0.0",
        needs="INT8",
    ),
    Step(
        "openvino",
        "bf16",
        "bf16 without AMX is slower than int8 (Zen 4, as reported: 0.5 and 0.35 of f32's time)",
        needs="BF16",
    ),
    _F32,
    _F32_OPENVINO,
    Step("onnxruntime", "int8", "int8 by onnxruntime costs 3 to 6 keypoint AP", auto=False),
)
"""For a calibrated YOLOX-tiny."""

POSE = (
    _GPU,
    Step(
        "openvino",
        "bf16",
        "on a Xeon with AMX bf16 takes 0.35 of f32's time, int8 0.65; keypoint AP +0.4 and -0.1",
        needs="BF16",
    ),
    Step(
        "openvino",
        "int8",
        "int8 takes 0.8 of f32's time (Zen 3; a Xeon: 0.65) and costs 0.2 to 0.5 keypoint AP",
        needs="INT8",
        auto=False,
    ),
    _F32,
    _F32_OPENVINO,
    Step("onnxruntime", "int8", "int8 by onnxruntime costs 1.6 to 4.4 keypoint AP", auto=False),
)
"""For a calibrated RTMPose-s."""
