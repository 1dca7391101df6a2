"""The Open Inference Protocol (KServe's V2) over REST: /classify/batch in other words."""
