"""Published models as the libraries that publish them load and run them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from PIL import Image


class Timm:
    """timm's own way: `create_model`, and the transform of its configuration."""

    def __init__(self, name: str, hub: Path) -> None:
        timm = import_module("timm")
        self.model = timm.create_model(name, pretrained=True, num_classes=0).eval()
        data = timm.data.resolve_model_data_config(self.model)
        self.transform = timm.data.create_transform(**data, is_training=False)

    def values(self, image: Image.Image):
        return self.transform(image)[None]

    def features(self, values):
        return self.model(values)


class Transformers:
    """The way of transformers' documentation: its image processor and `get_image_features`."""

    def __init__(self, name: str, hub: Path) -> None:
        transformers = import_module("transformers")
        self.model = transformers.AutoModel.from_pretrained(name).eval()
        # Where there are two, the one that works as the models were trained: on Pillow images.
        has_two = "dinov3" not in name
        self.processor = transformers.AutoImageProcessor.from_pretrained(
            name, **({"backend": "pil"} if has_two else {})
        )

    def values(self, image: Image.Image):
        return self.processor(images=image, return_tensors="pt")["pixel_values"]

    def features(self, values):
        if hasattr(self.model, "get_image_features"):
            found = self.model.get_image_features(pixel_values=values)
            return getattr(found, "pooler_output", found)
        return self.model(pixel_values=values).pooler_output


class OpenClip:
    """open_clip's own way: `create_model_and_transforms` and `encode_image`."""

    def __init__(self, name: str, hub: Path) -> None:
        open_clip = import_module("open_clip")
        self.model, _, self.transform = open_clip.create_model_and_transforms(f"hf-hub:{name}")
        self.model.eval()

    def values(self, image: Image.Image):
        return self.transform(image)[None]

    def features(self, values):
        return self.model.encode_image(values)
