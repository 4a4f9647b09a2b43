// Command grafana_templates expands the words of alerts as Prometheus and as Grafana do: both use
// Prometheus's template package, Grafana with other variables. It reads a JSON list of requests
// and writes a JSON list of answers, in the same order.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/template"
)

type request struct {
	Dialect string            `json:"dialect"` // prometheus or grafana
	Text    string            `json:"text"`
	Labels  map[string]string `json:"labels"`
	Value   string            `json:"value"` // a string, for NaN is no number of JSON
}

type answer struct {
	Text  string `json:"text"`
	Error string `json:"error"`
}

// number is what Grafana has for each step of a rule.
type number struct {
	Labels map[string]string
	Value  float64
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	var requests []request
	if err := json.NewDecoder(os.Stdin).Decode(&requests); err != nil {
		return err
	}
	answers := make([]answer, 0, len(requests))
	for _, each := range requests {
		answers = append(answers, answerTo(each))
	}
	return json.NewEncoder(os.Stdout).Encode(answers)
}

func answerTo(r request) answer {
	value, err := strconv.ParseFloat(r.Value, 64)
	if err != nil {
		return answer{Error: err.Error()}
	}
	text, err := expand(variables(r.Dialect)+r.Text, data(r, value))
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Text: text}
}

func variables(dialect string) string {
	if dialect == "grafana" {
		return `{{$labels := .Labels}}{{$values := .Values}}{{$value := .Value}}`
	}
	return `{{$labels := .Labels}}{{$value := .Value}}`
}

func data(r request, value float64) any {
	if r.Dialect == "grafana" {
		return struct {
			Labels map[string]string
			Values map[string]number
			Value  string
		}{r.Labels, map[string]number{"B": {r.Labels, value}, "C": {r.Labels, 1}}, "[ var='B' ]"}
	}
	return struct {
		Labels map[string]string
		Value  float64
	}{r.Labels, value}
}

func expand(text string, data any) (string, error) {
	queries := func(context.Context, string, time.Time) (promql.Vector, error) {
		return nil, fmt.Errorf("a template asks Prometheus, which Grafana cannot")
	}
	options := []string{"missingkey=invalid"}
	expander := template.NewTemplateExpander(
		context.Background(), text, "words", data, model.Time(0), queries, &url.URL{}, options,
	)
	return expander.Expand()
}
