"""Widgets that know nothing of processes: each is given what it shows, and posts what the user wants."""

from .chart import Chart
from .chart_view import ChartSeries, ChartView
from .columns import ALWAYS, Cell, Column
from .sparkline import sparkline
from .table import Rows, VirtualTable
from .tree import VirtualTree
from .tree_rows import TreeRows
from .virtual_list import VirtualList

__all__ = [
    "ALWAYS",
    "Cell",
    "Chart",
    "ChartSeries",
    "ChartView",
    "Column",
    "Rows",
    "TreeRows",
    "VirtualList",
    "VirtualTable",
    "VirtualTree",
    "sparkline",
]
