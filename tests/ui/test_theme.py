"""The palette: equal to Streamlit's configuration, and legible."""

import tomllib
from pathlib import Path

import pytest

from dashboard import theme
from dashboard.theme import PALETTES, Mode, contrast

CONFIG = Path(theme.__file__).parent / ".streamlit" / "config.toml"
TEXT, MARK = 4.5, 3.0


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_palette_reaches_contrast(mode: Mode) -> None:
    palette = PALETTES[mode]
    for ground in (palette.paper, palette.panel, palette.raised):
        for ink in (palette.ink, palette.muted, palette.link, palette.gain, palette.loss):
            assert contrast(ink, ground) >= TEXT, (ink, ground)
        for mark in (palette.gain_mark, palette.loss_mark, palette.accent):
            assert contrast(mark, ground) >= MARK, (mark, ground)
    for tone in ("good", "warn", "bad"):
        tint = getattr(palette, f"{tone}_tint")
        assert contrast(getattr(palette, tone), tint) >= TEXT
        assert contrast(palette.ink, tint) >= TEXT
    assert contrast(palette.accent, "#FFFFFF") >= TEXT, "a primary button's label is white"


def test_contrast_matches_the_published_example() -> None:
    # WebAIM: #777777 on white is 4.48:1, #0000FF on white 8.59:1.
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.005)
    assert contrast("#0000FF", "#FFFFFF") == pytest.approx(8.59, abs=0.005)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_configuration_has_the_same_colours(mode: Mode) -> None:
    found, palette = tomllib.loads(CONFIG.read_text())["theme"][mode], PALETTES[mode]
    expected = {"primaryColor": palette.accent, "backgroundColor": palette.paper, "textColor": palette.ink,
                "secondaryBackgroundColor": palette.panel, "linkColor": palette.link, "borderColor": palette.line,
                "chartCategoricalColors": list(theme.CATEGORICAL[mode])}  # fmt: skip
    assert {name: found[name] for name in expected} == expected


def test_configuration_switches_off_collection_after_every_run() -> None:
    from streamlit import config

    options = tomllib.loads(CONFIG.read_text())
    assert options["runner"]["postScriptGC"] is False
    assert config.get_option("runner.postScriptGC") in (True, False), "Streamlit must still know the hidden option"
    assert options["client"]["showErrorDetails"] == "none"
    assert options["browser"]["gatherUsageStats"] is False
