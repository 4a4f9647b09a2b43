// The alerts, recording rules and dashboards as a Prometheus mixin: docs/alerts.md.
// `make rules` and `make dashboards` write the imported files.
local defaults = {
  runbookBase: 'https://github.com/poolscope/poolscope/blob/main/alerts/runbooks/',
  dashboardBase: 'http://localhost:3000/d/',
  pageBase: 'http://localhost:9736/',
};

local groupsOf(text) = std.parseYaml(text).groups;
local groups =
  groupsOf(importstr 'alerts/poolscope.rules.yaml')
  + groupsOf(importstr 'alerts/poolscope-absent.rules.yaml');

// A group stays whole, because its alerts read the series that its recording rules have just made.
local hasAlerts(group) = std.length([rule for rule in group.rules if 'alert' in rule]) > 0;

local rebased(url, from, to) =
  if std.startsWith(url, from) then to + std.substr(url, std.length(from), std.length(url)) else url;

{
  _config+:: {
    poolscope: defaults { disabledAlerts: [] },
  },

  local config = $._config.poolscope,
  local linked(rule) = rule {
    annotations+: {
      runbook_url: rebased(super.runbook_url, defaults.runbookBase, config.runbookBase),
      dashboard_url: rebased(super.dashboard_url, defaults.dashboardBase, config.dashboardBase),
      page_url: rebased(super.page_url, defaults.pageBase, config.pageBase),
    },
  },
  local configured(group) = group {
    rules: [
      if 'alert' in rule then linked(rule) else rule
      for rule in super.rules
      if !('alert' in rule) || !std.member(config.disabledAlerts, rule.alert)
    ],
  },

  prometheusAlerts+:: {
    groups+: [configured(group) for group in groups if hasAlerts(group)],
  },

  prometheusRules+:: {
    groups+: [group for group in groups if !hasAlerts(group)],
  },

  grafanaDashboards+:: {
    'poolscope-exporter.json': import 'dashboards/poolscope-exporter.json',
    'poolscope-fleet.json': import 'dashboards/poolscope-fleet.json',
    'poolscope-overview.json': import 'dashboards/poolscope-overview.json',
    'poolscope-pool.json': import 'dashboards/poolscope-pool.json',
    'poolscope-server.json': import 'dashboards/poolscope-server.json',
    'poolscope-slo.json': import 'dashboards/poolscope-slo.json',
  },
}
