"""Data sets, loaders, tables, pictures and their transforms."""

from lamina.data import transforms
from lamina.data.bundled import digits
from lamina.data.collate import default_collate
from lamina.data.dataset import (
    ConcatDataset,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    random_split,
)
from lamina.data.images import ImageFolder, read_image
from lamina.data.loader import DataLoader
from lamina.data.randomness import sample_generator
from lamina.data.sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from lamina.data.tables import Table, read_csv

__all__ = [
    "BatchSampler",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "ImageFolder",
    "IterableDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "Subset",
    "SubsetRandomSampler",
    "Table",
    "TensorDataset",
    "WeightedRandomSampler",
    "default_collate",
    "digits",
    "random_split",
    "read_csv",
    "read_image",
    "sample_generator",
    "transforms",
]
