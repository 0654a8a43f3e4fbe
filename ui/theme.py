"""The look of Gradio's own components: the colours of pane.css, in light and dark alike."""

from __future__ import annotations

import gradio as gr

_COLOURS = {
    "--nr-surface": [
        "body_background_fill", "background_fill_primary", "button_primary_text_color",
        "button_primary_text_color_hover", "checkbox_label_text_color_selected",
        "table_odd_background_fill",
    ],
    "--nr-raised": [
        "background_fill_secondary", "block_background_fill", "block_label_background_fill",
        "block_title_background_fill", "panel_background_fill", "input_background_fill",
        "input_background_fill_focus", "input_background_fill_hover", "checkbox_background_color",
        "checkbox_background_color_focus", "checkbox_background_color_hover",
        "checkbox_label_background_fill", "button_secondary_background_fill",
        "button_cancel_background_fill", "error_background_fill", "table_even_background_fill",
        "code_background_fill",
    ],
    "--nr-tint": [
        "color_accent_soft", "checkbox_label_background_fill_hover", "stat_background_fill",
        "button_secondary_background_fill_hover", "button_cancel_background_fill_hover",
        "table_row_focus",
    ],
    "--nr-text": [
        "body_text_color", "block_title_text_color", "block_label_text_color",
        "accordion_text_color", "table_text_color", "checkbox_label_text_color",
        "button_secondary_text_color", "button_secondary_text_color_hover",
        "button_primary_background_fill_hover", "button_primary_border_color_hover",
    ],
    "--nr-soft": ["body_text_color_subdued", "block_info_text_color", "input_placeholder_color"],
    "--nr-line": [
        "border_color_primary", "block_border_color", "block_label_border_color",
        "panel_border_color", "table_border_color",
    ],
    "--nr-edge": [
        "input_border_color", "checkbox_border_color", "checkbox_label_border_color",
        "button_secondary_border_color",
    ],
    "--nr-accent": [
        "color_accent", "border_color_accent", "border_color_accent_subdued", "link_text_color",
        "link_text_color_active", "link_text_color_hover", "link_text_color_visited",
        "loader_color", "slider_color", "input_border_color_focus", "input_border_color_hover",
        "checkbox_background_color_selected", "checkbox_border_color_focus",
        "checkbox_border_color_hover", "checkbox_border_color_selected",
        "checkbox_label_background_fill_selected", "checkbox_label_border_color_hover",
        "checkbox_label_border_color_selected", "button_primary_background_fill",
        "button_primary_border_color", "button_secondary_border_color_hover",
    ],
    "--nr-warn": [
        "button_cancel_text_color", "button_cancel_text_color_hover",
        "button_cancel_border_color", "button_cancel_border_color_hover", "error_border_color",
        "error_text_color", "error_icon_color",
    ],
}  # fmt: skip
"""Which of Gradio's colours takes which of ours. tests/test_theme.py checks that they exist."""

_FONTS = ("system-ui", "Segoe UI", "Roboto", "Noto Sans", "Liberation Sans", "Arial", "sans-serif")
_MONO = ("ui-monospace", "DejaVu Sans Mono", "Consolas", "monospace")


def theme() -> gr.themes.Base:
    """A theme whose every colour is a property of pane.css, which has to be on the page.

    Its fonts are those of the reader's machine: nothing is fetched.
    """
    colours = {
        f"{name}{mode}": f"var({ours})"
        for ours, names in _COLOURS.items()
        for name in names
        for mode in ("", "_dark")
        if name + mode != "color_accent_dark"  # Gradio has no such name; pane.css sets it
    }
    base = gr.themes.Base(
        radius_size=gr.themes.sizes.radius_sm,
        font=[gr.themes.Font(name) for name in _FONTS],
        font_mono=[gr.themes.Font(name) for name in _MONO],
    )
    return base.set(
        **colours,
        block_shadow="none",
        block_shadow_dark="none",
        input_shadow="none",
        input_shadow_dark="none",
        input_shadow_focus="0 0 0 1px var(--nr-accent)",
        input_shadow_focus_dark="0 0 0 1px var(--nr-accent)",
        input_text_size="1rem",  # smaller, and phones zoom into the field
    )
