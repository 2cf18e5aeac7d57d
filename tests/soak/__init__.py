"""Checks against programs that `make soak` fetches: Home Assistant, and MQTT.js from npm."""
