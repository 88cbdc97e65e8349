"""How each kind of model may be run, best first: what `auto` reads, and what was measured.

Accuracy is COCO AP on the 42 images of the accuracy bench, against f32 on the same images; time is
one thread's, on a CPU with AVX2 and no more. That CPU has no bf16: the figures of bf16 are as
reported of another one (Zen 4) and other images of COCO, and were not measured with this code. A
step is within `auto`'s reach only where it keeps within one point of f32 in every score that it
touches. See docs/models.md for all scores, with their intervals.
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
        "bf16 takes half of f32's time at box AP +0.4, as reported of another CPU",
        needs="BF16",
    ),
    Step(
        "openvino",
        "int8",
        "int8 takes 0.7 of f32's time at box AP -0.0, keypoint AP on its boxes +0.4",
        needs="INT8",
    ),
    _F32,
    _F32_OPENVINO,
    Step("onnxruntime", "int8", "int8 by onnxruntime costs 6.3 keypoint AP", auto=False),
)
"""For a calibrated YOLOX-tiny."""

POSE = (
    _GPU,
    Step(
        "openvino",
        "bf16",
        "bf16 takes 0.55 of f32's time at keypoint AP -0.1, as reported of another CPU",
        needs="BF16",
    ),
    Step(
        "openvino",
        "int8",
        "int8 takes 0.8 of f32's time and costs 0.5 to 1.4 keypoint AP",
        needs="INT8",
        auto=False,
    ),
    _F32,
    _F32_OPENVINO,
    Step("onnxruntime", "int8", "int8 by onnxruntime costs 1.6 keypoint AP", auto=False),
)
"""For a calibrated RTMPose-s."""
