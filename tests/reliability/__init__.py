"""The promises of the product under faults of the cloud, the network, the clocks, time and other runs."""
