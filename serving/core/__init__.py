"""Servables, policies and life cycle; standard library and the protocol's plain values only."""
