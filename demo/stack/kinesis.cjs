// Kinesis for the stack: kinesalite, with what KCL needs of it and it has not.
//
//   HTTP/2                KCL's Java speaks it from the first byte; boto3 speaks HTTP/1.1, on the same port
//   ChildShards           with the end of a shard, or KCL waits there for ever
//   MillisBehindLatest    1, not 0, where an answer was cut at its limit: there is more
//   AT_TIMESTAMP          an answer, too, where nothing has arrived since
//
// A read and a put of one stream exclude each other here: that an iterator passes over nothing then needs no proof.
"use strict";

const { createDecipheriv } = require("node:crypto");
const http2 = require("node:http2");
const net = require("node:net");

const db = require("kinesalite/db");
const getRecords = require("kinesalite/actions/getRecords");
const getShardIterator = require("kinesalite/actions/getShardIterator");

const STREAM_MS = 20;
const LIMIT_DEFAULT = 10000;
const ITERATOR_HEADER_BYTES = 8;

function placeOf(iterator) {
  const decipher = createDecipheriv("aes-256-cbc", db.ITERATOR_PWD_KEY, db.ITERATOR_PWD_IV);
  const sealed = Buffer.from(iterator, "base64").subarray(ITERATOR_HEADER_BYTES);
  const [, streamName, shardId] = Buffer.concat([decipher.update(sealed), decipher.final()]).toString().split("/");
  return { streamName, shardId };
}

function withChildren(store, place, answer, done) {
  store.getStream(place.streamName, (error, stream) => {
    if (error) return done(error);
    answer.ChildShards = stream.Shards.filter((shard) =>
      [shard.ParentShardId, shard.AdjacentParentShardId].includes(place.shardId),
    ).map((shard) => ({
      ShardId: shard.ShardId,
      ParentShards: [shard.ParentShardId, shard.AdjacentParentShardId].filter(Boolean),
      HashKeyRange: shard.HashKeyRange,
    }));
    done(null, answer);
  });
}

function replace(action, by) {
  require.cache[require.resolve(`kinesalite/actions/${action}`)].exports = by;
}

replace("getShardIterator", (store, data, callback) => {
  if (data.ShardIteratorType !== "AT_TIMESTAMP") return getShardIterator(store, data, callback);
  const { shardIx } = db.resolveShardId(data.ShardId);
  const shard = { gt: db.shardIxToHex(shardIx), lt: db.shardIxToHex(shardIx + 1) };
  db.lazy(store.getStreamDb(data.StreamName).createReadStream(shard), callback)
    .filter((item) => item.value.ApproximateArrivalTimestamp >= data.Timestamp)
    .take(1)
    .join((since) => {
      const { Timestamp, ...others } = data;
      const latest = { ...others, ShardIteratorType: "LATEST" };
      getShardIterator(store, since.length ? data : latest, callback);
    });
});

replace("getRecords", (store, data, callback) => {
  let place;
  try {
    place = placeOf(data.ShardIterator);
  } catch {
    return getRecords(store, data, callback); // which says what is wrong with it
  }
  store.metaDb.lock(place.streamName, (release) => {
    const done = release(callback);
    getRecords(store, data, (error, answer) => {
      if (error) return done(error);
      if (answer.Records.length === (data.Limit || LIMIT_DEFAULT)) answer.MillisBehindLatest = 1;
      if (answer.NextShardIterator) return done(null, answer);
      withChildren(store, place, answer, done);
    });
  });
});

const times = { createStreamMs: STREAM_MS, deleteStreamMs: STREAM_MS, updateStreamMs: STREAM_MS };
const http1Server = require("kinesalite")({ ...times, shardLimit: 10000 });
const http2Server = http2.createServer();
http2Server.on("request", (request, answer) => http1Server.emit("request", request, answer));

net
  .createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.once("readable", () => {
      const first = socket.read();
      if (first === null) return socket.destroy();
      socket.unshift(first);
      (first.toString("latin1").startsWith("PRI") ? http2Server : http1Server).emit("connection", socket);
    });
  })
  .listen(Number(process.argv[2]));
