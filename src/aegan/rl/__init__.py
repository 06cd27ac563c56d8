"""Transitions for reinforcement learning: read, generate, augment a replay buffer, judge.

An adapter: rows of the table machinery under names an agent knows. ``import aegan.rl`` needs no Gymnasium; rolling out
environments does.
"""

from aegan.rl.agents import Agent, returns, train
from aegan.rl.evaluation import Evaluation, compare_agents, evaluate
from aegan.rl.minari import export_minari
from aegan.rl.model import TransitionModel, augment, fit, load
from aegan.rl.sources import read, rollout
from aegan.rl.spaces import Actions
from aegan.rl.transitions import Transitions

__all__ = [
    "Actions",
    "Agent",
    "Evaluation",
    "TransitionModel",
    "Transitions",
    "augment",
    "compare_agents",
    "evaluate",
    "export_minari",
    "fit",
    "load",
    "read",
    "returns",
    "rollout",
    "train",
]
