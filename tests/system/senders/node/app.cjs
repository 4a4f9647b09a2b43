// A pool of pg that fills up: HOLDERS connections are held, WAITERS callers wait for another one.
// Usage: node app.cjs HOST PORT HOLDERS WAITERS; it runs until it gets SIGTERM.
const { NodeSDK, metrics } = require('@opentelemetry/sdk-node');
// OTLP over HTTP is protobuf, or JSON if the variable asks for it.
const encoding = process.env.OTEL_EXPORTER_OTLP_PROTOCOL === 'http/json' ? 'http' : 'proto';
const { OTLPMetricExporter } = require(`@opentelemetry/exporter-metrics-otlp-${encoding}`);
const { PgInstrumentation } = require('@opentelemetry/instrumentation-pg');

const TIMEOUT_MS = 500;
const [, , host, port, holders, waiters] = process.argv;
const sdk = new NodeSDK({
  metricReaders: [
    new metrics.PeriodicExportingMetricReader({
      exporter: new OTLPMetricExporter(),
      exportIntervalMillis: 1000,
      exportTimeoutMillis: 900,
    }),
  ],
  instrumentations: [new PgInstrumentation()],
});
sdk.start();
const { Pool } = require('pg');

// Takes a connection and keeps it. On a busy machine, opening one may take longer than TIMEOUT_MS.
async function hold(pool) {
  for (;;) {
    try {
      return await pool.connect();
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

async function wait(pool) {
  for (;;) {
    try {
      await pool.query('SELECT 1');
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

async function main() {
  const pool = new Pool({
    host,
    port: Number(port),
    user: 'postgres',
    database: 'postgres',
    max: 5,
    connectionTimeoutMillis: TIMEOUT_MS,
  });
  for (let held = 0; held < Number(holders); held += 1) {
    await hold(pool);
  }
  for (let each = 0; each < Number(waiters); each += 1) {
    wait(pool);
  }
}

main();
