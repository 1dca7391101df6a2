"""Servables, policies and life cycle; standard library only."""
