"""The page for people: markup from a template, everything else from the API and static files."""

from __future__ import annotations

from flask import Blueprint, render_template

page = Blueprint("page", __name__)


@page.get("/")
def show() -> str:
    """Return the page; what it shows stands in its address and is fetched by the browser."""
    return render_template("page.html")
