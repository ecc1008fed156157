"""Accounts that act as no others do: bursts, near-identical accounts, odd ratings, groups that push a target."""
