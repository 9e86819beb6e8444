"""The models that are known by name, and what they are for."""

from __future__ import annotations

from dataclasses import dataclass

# The network in the package: of its vectors it is known what a cosine is worth, and which words they show.
BUILT_IN = "efficientnet-lite0"


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model that is known by name.

    `words` says whether it answers `text:` queries. `license` is that of its weights, or of its recipe if it
    has none. `extra` is the extra of the package that it needs, or empty; `module` is where it is made.
    `here_mb` is the size of its files in the package, in megabytes.
    """

    name: str
    purpose: str
    dim: int
    size_px: int
    license: str
    words: bool
    extra: str
    module: str
    here_mb: float = 0.0


@dataclass(frozen=True, slots=True)
class PublishedModel:
    """A published model that has a short name; `published` is the name that its publisher gave it.

    `repository` is where a hub has it. `download_mb` is its size in megabytes: that of its parameters in
    float32, four bytes each.
    """

    name: str
    purpose: str
    dim: int
    size_px: int
    license: str
    words: bool
    published: str
    repository: str
    download_mb: int


# In the order in which they are listed. The function `load(device)` of the module, imported on demand,
# returns the model. One that learns from pictures also has learn(pictures), and load(device, learned).
KNOWN_MODELS = (
    KnownModel(
        name=BUILT_IN,
        purpose="what is in the picture: a network trained on ImageNet, in the package (default)",
        dim=1280,
        size_px=224,
        license="Apache-2.0",
        words=True,
        extra="",
        module="lookalike.models.efficientnet",
        here_mb=5.3,
    ),
    KnownModel(
        name="pixels",
        purpose="the pixels themselves: the yardstick that a network has to beat",
        dim=3072,
        size_px=32,
        license="Apache-2.0",
        words=False,
        extra="",
        module="lookalike.models.pixels",
    ),
    KnownModel(
        name="colors",
        purpose="average colours on a grid of 8 x 8: instant",
        dim=192,
        size_px=64,
        license="Apache-2.0",
        words=False,
        extra="",
        module="lookalike.models.colors",
    ),
    KnownModel(
        name="sift",
        purpose="details of corners and blobs, with a codebook learned from your images",
        dim=2048,
        size_px=224,
        license="Apache-2.0",
        words=False,
        extra="sift",
        module="lookalike.models.sift",
    ),
)

# In the order in which they are listed.
PUBLISHED_MODELS = (
    PublishedModel(
        name="siglip2-base",
        purpose="what is in the picture, and any words in many languages",
        dim=768,
        size_px=224,
        license="Apache-2.0",
        words=True,
        published="hf:google/siglip2-base-patch16-224",
        repository="google/siglip2-base-patch16-224",
        download_mb=1501,
    ),
    PublishedModel(
        name="siglip-base",
        purpose="what is in the picture, and any words in English",
        dim=768,
        size_px=224,
        license="Apache-2.0",
        words=True,
        published="hf:google/siglip-base-patch16-224",
        repository="google/siglip-base-patch16-224",
        download_mb=813,
    ),
    PublishedModel(
        name="clip-vit-b32",
        purpose="the first CLIP: what is in the picture, and any words in English",
        dim=512,
        size_px=224,
        license="MIT",
        words=True,
        published="hf:openai/clip-vit-base-patch32",
        repository="openai/clip-vit-base-patch32",
        download_mb=605,
    ),
    PublishedModel(
        name="mobileclip-s1",
        purpose="a CLIP that is fast on small machines",
        dim=512,
        size_px=256,
        license="Apple AMLR",
        words=True,
        published="open_clip:MobileCLIP-S1/datacompdr",
        repository="apple/MobileCLIP-S1-OpenCLIP",
        download_mb=340,
    ),
    PublishedModel(
        name="dinov2-small",
        purpose="shapes and details, learned without any labels",
        dim=384,
        size_px=224,
        license="Apache-2.0",
        words=False,
        published="hf:facebook/dinov2-small",
        repository="facebook/dinov2-small",
        download_mb=88,
    ),
    PublishedModel(
        name="dinov2-base",
        purpose="the same, larger",
        dim=768,
        size_px=224,
        license="Apache-2.0",
        words=False,
        published="hf:facebook/dinov2-base",
        repository="facebook/dinov2-base",
        download_mb=346,
    ),
    PublishedModel(
        name="dinov3-small",
        purpose="its successor; its terms have to be agreed to",
        dim=384,
        size_px=224,
        license="DINOv3",
        words=False,
        published="hf:facebook/dinov3-vits16-pretrain-lvd1689m",
        repository="facebook/dinov3-vits16-pretrain-lvd1689m",
        download_mb=86,
    ),
    PublishedModel(
        name="resnet50",
        purpose="the classic: a convolutional network trained on ImageNet",
        dim=2048,
        size_px=224,
        license="Apache-2.0",
        words=False,
        published="timm:resnet50.a1_in1k",
        repository="timm/resnet50.a1_in1k",
        download_mb=102,
    ),
)
