"""A report on one HTML page: sections with a sentence that says what to see, tables and plots."""

from recsys.report.axes import Axis
from recsys.report.bars import Bar, BarPlot
from recsys.report.cloud import CloudPlot
from recsys.report.lines import LinePlot, Series
from recsys.report.page import Cell, Column, Figure, Folded, Note, Page, Plot, Row, Section, Table
from recsys.report.rendering import render, write_page
from recsys.report.scatter import Point, ScatterPlot

__all__ = [
    "Axis",
    "Bar",
    "BarPlot",
    "Cell",
    "CloudPlot",
    "Column",
    "Figure",
    "Folded",
    "LinePlot",
    "Note",
    "Page",
    "Plot",
    "Point",
    "Row",
    "ScatterPlot",
    "Section",
    "Series",
    "Table",
    "render",
    "write_page",
]
