// A program with database/sql and a pgxpool, each full: HOLDERS connections are held, WAITERS wait.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/XSAM/otelsql"
	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/sdk/metric"
)

const (
	maxOpen = 5
	timeout = 500 * time.Millisecond
)

// Usage: sender LIBRARY HOST PORT HOLDERS WAITERS; it runs until it gets SIGTERM.
func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	exporter, err := otlpmetrichttp.New(ctx)
	check(err)
	reader := metric.NewPeriodicReader(exporter, metric.WithInterval(time.Second))
	otel.SetMeterProvider(metric.NewMeterProvider(metric.WithReader(reader)))

	dsn := fmt.Sprintf("postgres://postgres@%s:%s/postgres", os.Args[2], os.Args[3])
	acquire := acquireFrom(ctx, os.Args[1], dsn)
	for range number(os.Args[4]) {
		_, err := acquire(ctx)
		check(err)
	}
	for range number(os.Args[5]) {
		go wait(ctx, acquire)
	}
	<-ctx.Done()
}

type acquireFunc func(context.Context) (release func(), err error)

func acquireFrom(ctx context.Context, library string, dsn string) acquireFunc {
	if library == "pgxpool" {
		return fromPgxPool(ctx, dsn)
	}
	return fromDatabaseSQL(dsn)
}

func fromDatabaseSQL(dsn string) acquireFunc {
	db, err := otelsql.Open("pgx", dsn)
	check(err)
	db.SetMaxOpenConns(maxOpen)
	_, err = otelsql.RegisterDBStatsMetrics(db)
	check(err)
	return func(ctx context.Context) (func(), error) {
		connection, err := db.Conn(ctx)
		if err != nil {
			return nil, err
		}
		return func() { _ = connection.Close() }, nil
	}
}

func fromPgxPool(ctx context.Context, dsn string) acquireFunc {
	config, err := pgxpool.ParseConfig(dsn)
	check(err)
	config.MaxConns = maxOpen
	pool, err := pgxpool.NewWithConfig(ctx, config)
	check(err)
	check(otelpgx.RecordStats(pool))
	return func(ctx context.Context) (func(), error) {
		connection, err := pool.Acquire(ctx)
		if err != nil {
			return nil, err
		}
		return connection.Release, nil
	}
}

func wait(ctx context.Context, acquire acquireFunc) {
	for ctx.Err() == nil {
		limited, cancel := context.WithTimeout(ctx, timeout)
		if release, err := acquire(limited); err == nil {
			release()
		}
		cancel()
	}
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
