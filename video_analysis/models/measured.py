"""How each kind of model may be run, best first: what `auto` reads, and what was measured.

Accuracy is COCO AP on the 42 images of the accuracy bench, against f32 on the same images and
boxes; time is one thread's on an AVX2 CPU. A step is in `auto`'s reach only if it keeps within one
point of f32.
"""

from contanos.models.choose import Step

_GPU = Step("onnxruntime", "f32", "an NVIDIA GPU runs f32 fastest", needs="GPU")
_F32 = Step("onnxruntime", "f32", "f32 by onnxruntime runs everywhere")
_F32_OPENVINO = Step("openvino", "f32", "f32 by OpenVINO, no faster than by onnxruntime")

WITHOUT_TABLE = (_GPU, _F32, _F32_OPENVINO)
"""For a model that nobody calibrated."""
