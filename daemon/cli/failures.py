"""Errors as people meet them: the sentence, the place, what was kept, the next command, and the exit code."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from daemon.cli.screen import ERROR_LINES_MAX, error_text, tell
