"""The paper's figures as recipes: what each shows, painted again with the models of your choice.

`recipes` holds them by name ("9" to "18", "cutouts"); `gouache.figures.making.make` runs one.

Not here: the loop and its models: a figure is a listener of runs like others.
"""

from __future__ import annotations

from gouache.figures.recipe import Cell, Order, Recipe, editing_recipe
from gouache.figures.recipes import recipes
from gouache.systems.known import System, systems

__all__ = ["Cell", "Order", "Recipe", "System", "editing_recipe", "recipes", "systems"]
