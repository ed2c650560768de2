"""Pictures as SVG text, made from plain values: for the page, the report and notebooks."""
