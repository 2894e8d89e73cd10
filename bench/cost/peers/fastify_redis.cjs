// Fastify and ioredis, which Node finds in NODE_PATH.

const fastify = require("fastify")({ logger: false });
const Redis = require("ioredis");

const redis = new Redis(process.env.REDIS_URL);

fastify.addContentTypeParser("*", { parseAs: "buffer" }, (request, body, done) => done(null, body));

fastify.get("/kv/:key", async (request, reply) => {
  const value = await redis.getBuffer(request.params.key);
  if (value === null) return reply.code(404).send();
  return reply.type("application/octet-stream").send(value);
});

fastify.put("/kv/:key", async (request, reply) => {
  await redis.set(request.params.key, request.body);
  return reply.code(204).send();
});

fastify.post("/counters/:name", async (request) => {
  const { name } = request.params;
  return { name, value: await redis.incr(name) };
});

fastify.listen({ host: "127.0.0.1", port: Number(process.env.PORT) });
