"""Loggers: where the records of a training go, `logger=[jsonl,tensorboard]`."""

from gan_lab.loggers.base import Chart, Logger, LoggerFactory
from gan_lab.loggers.jsonl import JsonlLogger
from gan_lab.loggers.tensorboard import TensorBoardLogger
from gan_lab.loggers.trackio import TrackioLogger

__all__ = ["Chart", "JsonlLogger", "Logger", "LoggerFactory", "TensorBoardLogger", "TrackioLogger"]
