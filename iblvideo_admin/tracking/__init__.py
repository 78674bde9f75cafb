"""From one raw video to one ALF table: decode, regions, networks, filter, full-frame coordinates.

Knows neither the queue nor the server: everything it needs comes as arguments.
"""
