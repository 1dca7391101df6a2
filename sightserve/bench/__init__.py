"""A load test of a service that classifies images: what it answers, and how fast.

It must cost far less than what it measures: plain asyncio, the standard library and nothing heavy.
"""
