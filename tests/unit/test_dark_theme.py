"""Figures on a dark page of JupyterLab: the browser turns their lightness, and every line and word stays readable."""

from __future__ import annotations

import re

import numpy as np
import pytest

from trt_lessons.plots import style

# a turn of hues by 180 degrees as the CSS filter is defined: it keeps what red, green and blue weigh in lightness
HALF_TURN = np.array([[-0.574, 1.430, 0.144], [0.426, 0.430, 0.144], [0.426, 1.430, -0.856]])
PAGE = (0x11 / 255,) * 3  # JupyterLab's dark page


def rgb(color: str) -> np.ndarray:
    return np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])


def in_the_dark(color: str) -> np.ndarray:
    """What the filter in the figure's HTML makes of a colour."""
    amount = float(re.search(r"invert\(([.\d]+)\) hue-rotate\(180deg\)", style.DARK)[1])
    return np.clip(HALF_TURN @ (amount + rgb(color) * (1 - 2 * amount)), 0, 1)


def lightness(color: np.ndarray) -> float:
    linear = np.where(color <= 0.03928, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: np.ndarray, other: np.ndarray) -> float:
    """1 (the same) to 21 (black on white), as accessibility guidelines define it."""
    dark, light = sorted((lightness(one), lightness(other)))
    return (light + 0.05) / (dark + 0.05)


def test_paper_is_as_dark_as_the_page() -> None:
    assert contrast(in_the_dark(style.PAPER), np.array(PAGE)) < 1.1


@pytest.mark.parametrize("ink", ["INK", "MUTED"])
def test_words_are_readable(ink: str) -> None:
    assert contrast(in_the_dark(getattr(style, ink)), in_the_dark(style.PAPER)) >= 4.5


@pytest.mark.parametrize("color", style.LINE_COLORS)
def test_lines_are_seen(color: str) -> None:
    assert contrast(in_the_dark(color), in_the_dark(style.PAPER)) >= 3


def test_only_our_figures_and_only_a_dark_page_are_turned() -> None:
    html = style.with_alt("AAAA", {"alt": "a figure", "width": 760})
    assert html.count("<style>") == 1 and '<img class="trt-figure" alt="a figure" width="760"' in html
    rules = re.search("<style>(.*)</style>", html)[1]
    assert re.fullmatch(r'\[data-jp-theme-light="false"\] img\.trt-figure\{[^}]*\}', rules)
