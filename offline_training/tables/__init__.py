"""Simulated views of small things on a table: what is learnt once about borders between objects is
learnt from these beside the rooms. No result is measured on them."""

from offline_training.tables.view import TableView, table_view

__all__ = ["TableView", "table_view"]
