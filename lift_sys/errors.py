"""Every error this product raises on purpose, as one tree, named by the boundary it comes from.

``LiftError`` means: show the message, without a traceback, and exit with ``exit_code``.
Bad output of a model is *data* (a failed attempt or a verdict with a reason), never one of these.

    LiftError
    ├── ConfigError            options or a run's configuration
    ├── DatasetError           a task file
    ├── IRError                an IR that cannot be read
    ├── ArtifactError          an exported program
    ├── StoreError             a run directory, or the disk under it
    ├── ModelError             getting a model: unknown id, no source, wrong hash
    ├── BudgetSpent            a job reached its budget; with a larger one it goes on
    └── InfrastructureError    not the candidate's fault; never scored
        ├── ProviderError      the engine or server that generates
        └── SandboxError       the sandbox that executes
            └── SandboxUnavailableError
"""

from __future__ import annotations


class LiftError(Exception):
    """Root of the tree: one sentence that says what, where and what to do."""

    exit_code = 2


class ConfigError(LiftError):
    """An option or a configuration value that cannot be used."""


class DatasetError(LiftError):
    """A task file that cannot be read; the message names file, line and field."""


class IRError(LiftError):
    """An intermediate representation that is malformed or of a newer version."""


class ArtifactError(LiftError):
    """An exported program that is truncated, changed, too new or made for other signatures."""


class StoreError(LiftError):
    """A run directory that cannot be read or written."""


class ModelError(LiftError):
    """A model that cannot be had: unknown id, no reachable source, wrong hash, no space."""


class BudgetSpent(LiftError):  # noqa: N818 (what the user asked for, not an error)
    """A job may not ask its models any further: neither bad input nor a failure."""

    exit_code = 3


class InfrastructureError(LiftError):
    """A failure that is nobody's answer: it stops or fails a trial and is never scored as 0."""


class ProviderError(InfrastructureError):
    """The engine or server that generates text failed."""


class SandboxError(InfrastructureError):
    """The sandbox itself failed, as opposed to the code that ran in it."""


class SandboxUnavailableError(SandboxError):
    """No sandbox layer holds on this machine, and running without one was not allowed."""
