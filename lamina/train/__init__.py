"""Training: the loop, its progress bar, evaluation and pictures."""

from lamina.train.classes import ClassScore, class_scores, confusion_matrix
from lamina.train.loop import EpochResult, Evaluation, accuracy, evaluate, fit, train_step
from lamina.train.pictures import draw_training
from lamina.train.progress import TrainingBar

__all__ = [
    "ClassScore",
    "EpochResult",
    "Evaluation",
    "TrainingBar",
    "accuracy",
    "class_scores",
    "confusion_matrix",
    "draw_training",
    "evaluate",
    "fit",
    "train_step",
]
