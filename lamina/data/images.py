"""Pictures in files, read through Pillow (extra `images`)."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, final

import numpy as np

from lamina.data.dataset import Dataset, checked_index
from lamina.data.transforms.pixels import ToTensor
from lamina.errors import ArgumentError, DataError, MissingExtraError
from lamina.tensor import Tensor

SUFFIXES = {
    *(".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm"),
}
CHANNELS = {"RGB": 3, "L": 1, "RGBA": 4}
_scaled = ToTensor()


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtraError(
            "pictures need Pillow, which is not installed; run pip install 'lamina[images]'"
        ) from None
    return Image


def read_image(path: str | os.PathLike[str], mode: str = "RGB") -> Tensor:
    """Return the picture in a file: float32 (channels, height, width), values from 0 to 1.

    `mode` is "RGB", "L" (grey) or "RGBA"; pictures of another kind are converted. DataError where
    the file is no picture, is damaged, or has more than 8 bits a channel.
    """
    if mode not in CHANNELS:
        raise ArgumentError(f"read_image: mode={mode!r} given; expected one of {list(CHANNELS)}")
    pillow = _pillow()
    name = os.fspath(path)
    # What Pillow's decoders raise on damaged files.
    damage = (OSError, SyntaxError, ValueError, EOFError, pillow.DecompressionBombError)
    try:
        with open(name, "rb") as file, pillow.open(file) as picture:
            if picture.mode[0] in "IF":
                raise DataError(
                    f"{name} has more than 8 bits a channel ({picture.mode}); convert it to 8 bits"
                )
            pixels = np.asarray(picture.convert(mode))
    except (FileNotFoundError, PermissionError, IsADirectoryError, DataError):
        raise
    except damage as error:
        raise DataError(
            f"{name} cannot be read as a picture ({error}); replace or remove it"
        ) from error
    return _scaled(pixels)


@final
class ImageFolder(Dataset):
    """Pictures sorted into folders: `root/cat/1.png` is a sample of class "cat".

    `classes` are the names of the sub-folders in order, `samples` the pairs (path, label), by path
    within each class. Sample i is (picture, label): what `read_image` gives, through `transform`.

    DataError where there are no classes, a class has no pictures, or a picture cannot be read.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        transform: Callable[[Tensor], Any] | None = None,
        *,
        mode: str = "RGB",
    ) -> None:
        _pillow()
        if mode not in CHANNELS:
            raise ArgumentError(
                f"ImageFolder: mode={mode!r} given; expected one of {list(CHANNELS)}"
            )
        self.root = Path(root)
        self.transform = transform
        self.mode = mode
        self.classes = _class_names(self.root)
        self.class_to_idx = {name: label for label, name in enumerate(self.classes)}
        self.samples = [
            (path, label)
            for label, name in enumerate(self.classes)
            for path in _pictures(self.root / name)
        ]
        self.targets = [label for _, label in self.samples]

    def __getitem__(self, index: int) -> tuple[Any, int]:
        path, label = self.samples[checked_index(index, len(self))]
        image = read_image(path, self.mode)
        return image if self.transform is None else self.transform(image), label

    def __len__(self) -> int:
        return len(self.samples)


def _class_names(root: Path) -> list[str]:
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; give one with a sub-folder for each class")
    names = sorted(entry.name for entry in root.iterdir() if entry.is_dir())
    if not names:
        raise DataError(f"{root} has no sub-folders; put the pictures of each class into its own")
    return names


def _pictures(folder: Path) -> list[Path]:
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not found:
        raise DataError(
            f"{folder} holds no pictures ({' '.join(sorted(SUFFIXES))}); fill or remove it"
        )
    return found
