"""Who may call and how much: keys, rate limits, addresses, hosts. Knows no HTTP library."""
