"""A small shop for an application's first days: visitors with hidden tastes view items and buy some."""

from flyball.simulation.worlds.shop.world import ShopWorld

__all__ = ["ShopWorld"]
