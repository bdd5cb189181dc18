"""Simulators that speak to the link; one package for each, and none knows another."""
