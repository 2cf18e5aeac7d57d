// Prints the first retained message of each topic given, read with MQTT.js, as one line of JSON.
const mqtt = require("mqtt");
const [url, version, ...topics] = process.argv.slice(2);
const client = mqtt.connect(url, { protocolVersion: Number(version) });
const found = {};
client.on("connect", () => client.subscribe(topics));
client.on("message", (topic, payload, packet) => {
  if (packet.retain && !(topic in found)) found[topic] = payload.toString();
  if (Object.keys(found).length === topics.length) {
    console.log(JSON.stringify(found));
    client.end();
  }
});
