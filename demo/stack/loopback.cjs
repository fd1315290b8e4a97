// Loaded before the emulator: it listens on the loopback interface only, and ends with whoever started it.
"use strict";

const { Server } = require("node:net");

const LIFE_MS_MAX = 20 * 60 * 1000;
const listen = Server.prototype.listen;

Server.prototype.listen = function (port, ...rest) {
  return listen.call(this, port, "127.0.0.1", ...rest);
};

process.stdin.on("end", () => process.exit(0)).resume();
setTimeout(() => process.exit(0), LIFE_MS_MAX).unref();
