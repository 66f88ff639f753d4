"""Shipped knowledge: terms, rules, clocks, calendars, protocols as YAML packs."""
