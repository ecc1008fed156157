"""A small shop for the first days of an application: visitors with hidden tastes view items and buy some."""

from flyball.simulation.worlds.shop.world import ShopWorld

__all__ = ["ShopWorld"]
