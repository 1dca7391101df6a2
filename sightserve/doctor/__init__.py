"""What is wrong with this machine, this installation or this service, and how to mend it.

One module an area, each with functions from `Surroundings` to findings. Needs the base install
only: no TensorFlow, no gateway, and nothing here may wait for longer than its deadline.
"""
