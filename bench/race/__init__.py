"""The race: what a photo costs here and with what people would use instead, in one run.

python -m bench.race            all, about 20 minutes on two cores
python -m bench.race --quick    the same in about 3 minutes, to see that it works
python -m bench.race.page       docs/performance.md and its pictures again, from the results
"""
