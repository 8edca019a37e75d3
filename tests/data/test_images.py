"""Image folders, transforms of pictures, and the digits that come with the package."""

import hashlib
import sys

import numpy as np
import pytest
from PIL import Image

import lamina
from lamina import dtypes
from lamina.data import DataLoader, ImageFolder, digits, read_image
from lamina.data.bundled import FILE
from lamina.data.transforms import (
    CenterCrop,
    Compose,
    Normalize,
    RandomAffine,
    RandomCrop,
    RandomHorizontalFlip,
    RandomVerticalFlip,
    Resize,
    ToTensor,
    affine,
)
from lamina.errors import ArgumentError, DataError, DTypeError, MissingExtraError, ShapeError
from lamina.philox import default_generator

RNG = np.random.default_rng(0)


def pixels(height=5, width=7, channels=3):
    return RNG.integers(0, 256, (height, width, channels), dtype=np.uint8)


def floats(*shape):
    return lamina.tensor(RNG.random(shape).astype(np.float32))


@pytest.fixture
def folder(tmp_path):
    for place, name in enumerate(["b.png", "a.png", "c.bmp"]):
        target = tmp_path / ("zebra" if place else "ape") / name
        target.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels()).save(target)
    (tmp_path / "ape" / "notes.txt").write_text("no picture")
    (tmp_path / "labels.csv").write_text("")
    return tmp_path


def test_folder_of_folders(folder):
    data = ImageFolder(folder)
    assert data.classes == ["ape", "zebra"]
    assert data.class_to_idx == {"ape": 0, "zebra": 1}
    assert [path.name for path, _ in data.samples] == ["b.png", "a.png", "c.bmp"]
    assert data.targets == [0, 1, 1]
    image, label = data[2]
    expected = np.asarray(Image.open(folder / "zebra" / "c.bmp")).transpose(2, 0, 1) / 255
    np.testing.assert_allclose(image.numpy(), expected, rtol=1e-6)
    assert (image.dtype, label) == (dtypes.float32, 1)


def test_modes_and_transform(folder):
    grey = ImageFolder(folder, transform=Resize((4, 4)), mode="L")
    images, labels = next(iter(DataLoader(grey, batch_size=3)))
    assert images.shape == (3, 1, 4, 4)
    assert labels.tolist() == [0, 1, 1]


def test_palette_and_alpha_pictures(tmp_path):
    picture = Image.fromarray(pixels()).convert("P")
    picture.save(tmp_path / "p.gif")
    np.testing.assert_array_equal(
        read_image(tmp_path / "p.gif").numpy() * 255,
        np.asarray(picture.convert("RGB"), np.float32).transpose(2, 0, 1),
    )
    assert read_image(tmp_path / "p.gif", "RGBA").shape == (4, 5, 7)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "tiff", "webp", "ppm"])
def test_damaged_pictures_are_named(tmp_path, suffix):
    path = tmp_path / f"broken.{suffix}"
    Image.fromarray(pixels(60, 60)).save(path)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:9], b"", b"not a picture"):
        path.write_bytes(content)
        with pytest.raises(DataError, match=f"broken.{suffix} cannot be read as a picture"):
            read_image(path)


def test_deep_pictures_are_refused(tmp_path):
    Image.fromarray(np.ones((3, 3), np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(DataError, match="more than 8 bits"):
        read_image(tmp_path / "deep.png")


def test_a_damaged_sample_names_itself_in_a_loader(folder):
    (folder / "zebra" / "a.png").write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"a\.png cannot be read") as caught:
        list(DataLoader(ImageFolder(folder), num_workers=2))
    assert caught.value.__notes__ == ["raised by sample 1 of the data set, in batch 1"]


def test_wrong_folders(tmp_path):
    with pytest.raises(DataError, match="is not a folder"):
        ImageFolder(tmp_path / "absent")
    with pytest.raises(DataError, match="has no sub-folders"):
        ImageFolder(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty holds no pictures"):
        ImageFolder(tmp_path)
    with pytest.raises(ArgumentError, match="mode='CMYK'"):
        ImageFolder(tmp_path, mode="CMYK")
    with pytest.raises(FileNotFoundError):
        read_image(tmp_path / "absent.png")


def test_without_pillow(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtraError, match=r"lamina\[images\]"):
        ImageFolder(tmp_path)


def test_to_tensor():
    values = pixels()
    expected = values.transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    for image in (values, Image.fromarray(values), lamina.tensor(values.transpose(2, 0, 1))):
        assert np.array_equal(ToTensor()(image).numpy(), expected)
    assert ToTensor()(values[:, :, 0]).shape == (1, 5, 7)
    done = ToTensor()(values)
    assert ToTensor()(done) is done


def test_normalize_and_compose():
    image = floats(2, 3, 3)
    found = Compose([ToTensor(), Normalize((0.5, 0.25), (0.5, 2.0))])(image).numpy()
    np.testing.assert_allclose(found[0], (image.numpy()[0] - 0.5) / 0.5, rtol=1e-6)
    np.testing.assert_allclose(found[1], (image.numpy()[1] - 0.25) / 2.0, rtol=1e-6)


@pytest.mark.parametrize("size", [(3, 4), (20, 30), (5, 1), (11, 13)])
def test_resize_is_pillows(size):
    image = floats(1, 11, 13)
    reference = Image.fromarray(image.numpy()[0]).resize(size[::-1], Image.Resampling.BILINEAR)
    np.testing.assert_allclose(Resize(size)(image).numpy()[0], np.asarray(reference), atol=1e-6)


def test_resize_of_the_shorter_side():
    assert Resize(6)(floats(1, 9, 12)).shape == (1, 6, 8)
    assert Resize(6)(floats(1, 12, 9)).shape == (1, 8, 6)


def test_crops():
    image = floats(1, 6, 8)
    assert np.array_equal(CenterCrop(4)(image).numpy(), image.numpy()[:, 1:5, 2:6])
    found = RandomCrop((6, 8), padding=1)(image).numpy()
    padded = np.pad(image.numpy(), ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (1, 6, 8)).reshape(-1, 1, 6, 8)
    assert any(np.array_equal(found, w) for w in windows)


def test_flips():
    image = floats(2, 3, 4)
    assert np.array_equal(RandomHorizontalFlip(1.0)(image).numpy(), image.numpy()[:, :, ::-1])
    assert np.array_equal(RandomVerticalFlip(1.0)(image).numpy(), image.numpy()[:, ::-1])
    assert RandomHorizontalFlip(0.0)(image) is image


def test_affine_turns_moves_scales_and_leans():
    image = floats(2, 6, 6)
    values = image.numpy()
    close = {"rtol": 0, "atol": 1e-6}
    np.testing.assert_allclose(affine(image).numpy(), values, **close)
    for turns in (1, 2, 3):
        turned = affine(image, angle=90 * turns).numpy()
        np.testing.assert_allclose(turned, np.rot90(values, turns, (1, 2)), **close)
    moved = affine(image, translate=(2, -1), fill=0.5).numpy()
    np.testing.assert_allclose(moved[:, :5, 2:], values[:, 1:, :4], **close)
    np.testing.assert_allclose(moved[:, :, :2], 0.5, **close)
    np.testing.assert_allclose(moved[:, 5], 0.5, **close)
    half = affine(image, translate=(0.5, 0)).numpy()
    np.testing.assert_allclose(
        half[:, :, 1:], (values[:, :, 1:] + values[:, :, :-1]) / 2, rtol=1e-5
    )
    ramp = lamina.tensor(np.arange(7, dtype=np.float32)[None, None].repeat(7, 1))
    np.testing.assert_allclose(affine(ramp, scale=2.0).numpy()[0, 0], np.arange(1.5, 5, 0.5))
    leaning = affine(ramp, shear=45.0, fill=-1.0).numpy()[0]
    np.testing.assert_allclose(leaning[2, :], [1, 2, 3, 4, 5, 6, -1], **close)
    np.testing.assert_allclose(leaning[4, :], [-1, 0, 1, 2, 3, 4, 5], **close)


def test_random_transforms_follow_the_seed():
    transform = Compose(
        [
            RandomCrop(6, padding=2),
            RandomHorizontalFlip(),
            RandomAffine(20, (0.2, 0.1), (0.8, 1.2), 9),
        ]
    )
    image = floats(1, 6, 6)
    before = default_generator.state
    found = []
    for _ in range(2):
        default_generator.manual_seed(5)
        found.append([transform(image).numpy() for _ in range(3)])
    default_generator.state = before
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0][0], found[0][1])


@pytest.mark.parametrize("workers", [1, 3])
def test_augmentation_is_the_same_with_workers(folder, workers):
    data = ImageFolder(folder, transform=Compose([RandomAffine(30), RandomCrop(4)]))

    def epoch(**options):
        return [x.numpy() for x, _ in DataLoader(data, seed=8, shuffle=True, **options)]

    assert np.array_equal(epoch(), epoch(num_workers=workers))


WRONG_TRANSFORMS = {
    "integers": (lambda: Resize(3)(lamina.ones(1, 2, 2).to("int64")), DTypeError, "ToTensor"),
    "array": (lambda: CenterCrop(1)(np.ones((1, 2, 2))), DTypeError, "given ndarray"),
    "axes": (lambda: Resize(3)(lamina.ones(2, 2)), ShapeError, r"shape \(2, 2\)"),
    "channels": (lambda: Normalize([0.0], [1.0])(floats(3, 2, 2)), ShapeError, "was given 3"),
    "std": (lambda: Normalize([0.0], [0.0]), ArgumentError, "std above 0"),
    "size": (lambda: Resize((0, 3)), ArgumentError, r"size \(0, 3\)"),
    "crop": (lambda: CenterCrop(9)(floats(1, 4, 4)), ShapeError, "4×4 is smaller than 9×9"),
    "random crop": (lambda: RandomCrop(9)(floats(1, 4, 4)), ShapeError, "smaller than 9×9"),
    "padding": (lambda: RandomCrop(9, padding=-1), ArgumentError, "padding=-1"),
    "p": (lambda: RandomHorizontalFlip(1.5), ArgumentError, "p=1.5"),
    "share": (lambda: RandomAffine(3, translate=(2, 0)), ArgumentError, "translate"),
    "scale": (lambda: RandomAffine(3, scale=(0, 1)), ArgumentError, "scale"),
    "no scale": (lambda: affine(floats(1, 2, 2), scale=0.0), ArgumentError, "scale=0.0"),
    "floats": (lambda: ToTensor()(np.ones((2, 2, 3))), DTypeError, "float64 pixels"),
}


@pytest.mark.parametrize(
    ("make", "error", "message"), WRONG_TRANSFORMS.values(), ids=WRONG_TRANSFORMS
)
def test_wrong_transforms(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_digits():
    train, test, both = (digits(split).tensors for split in ("train", "test", "all"))
    assert train[0].shape == (1437, 1, 8, 8)
    assert test[0].shape == (360, 1, 8, 8)
    assert (train[0].dtype, train[1].dtype) == (dtypes.float32, dtypes.int64)
    assert (both[0].numpy().min(), both[0].numpy().max()) == (0.0, 1.0)
    shares = [np.bincount(labels.numpy()) for labels in (train[1], test[1])]
    assert np.abs(shares[0] / 1437 - shares[1] / 360).max() < 0.003
    parts = np.concatenate([train[0].numpy(), test[0].numpy()]).reshape(1797, 64)
    order = np.lexsort(parts.T), np.lexsort(both[0].numpy().reshape(1797, 64).T)
    assert np.array_equal(parts[order[0]], both[0].numpy().reshape(1797, 64)[order[1]])
    with pytest.raises(ArgumentError, match="split='validation'"):
        digits("validation")


def test_digits_look_like_digits():
    """A nearest neighbour, in numpy, tells them apart: images and labels belong together."""
    (x, y), (u, v) = ([t.numpy() for t in digits(s).tensors] for s in ("train", "test"))
    x, u = x.reshape(-1, 64), u.reshape(-1, 64)
    distances = (x**2).sum(1) - 2 * u @ x.T
    assert (y[distances.argmin(1)] == v).mean() > 0.98


def test_digits_are_those_of_scikit_learn():
    with np.load(FILE) as file:
        images, labels = file["images"], file["labels"]
    assert FILE.stat().st_size < 100_000
    # Of sklearn.datasets.load_digits().images as uint8.
    expected = "8f26b2bd9d135c256808f68f14fdabddde6d9c7f869ae419704b051f0f14b3b3"
    assert hashlib.sha256(images.tobytes()).hexdigest() == expected
    assert labels[:10].tolist() == list(range(10))
