{{- /*
For charts of apps that depend on this one: a container for the app's pods, and its volume.

  initContainers:
    {{- include "poolscope.sidecar" (dict "image" "…" "forwardTo" "https://…:9737" "clientSecret" "…") | nindent 8 }}
  volumes:
    {{- include "poolscope.sidecar.volumes" (dict "clientSecret" "…") | nindent 8 }}

  image            the exporter's image
  forwardTo        the exporter that judges, with clientSecret: a Secret with the keys token, ca.crt
  databaseSecret   or a Secret with the keys dsn, password: the sidecar judges its own pod
  classic          true for Kubernetes before 1.29: then it belongs into containers
  resources        instead of those below

Its pods need the label poolscope: sidecar (to be scraped), and poolscope-client: "true" where a
NetworkPolicy guards the exporter that it forwards to.
*/}}
{{- define "poolscope.sidecar" -}}
- name: poolscope
  image: {{ required "poolscope.sidecar needs image" .image }}
  args: [run]
  {{- if not .classic }}
  restartPolicy: Always
  {{- end }}
  env:
    - name: POOLSCOPE_ROLE
      value: sidecar
    {{- if .databaseSecret }}
    - name: POOLSCOPE_DSN
      valueFrom:
        secretKeyRef:
          name: {{ .databaseSecret }}
          key: dsn
    - name: POOLSCOPE_PASSWORD_FILE
      value: /run/secrets/poolscope/database/password
    {{- else }}
    - name: POOLSCOPE_FORWARD_TO
      value: {{ required "poolscope.sidecar needs forwardTo, or databaseSecret" .forwardTo }}
    - name: POOLSCOPE_FORWARD_AS
      value: poolscope
    - name: POOLSCOPE_FORWARD_TOKEN_FILE
      value: /run/secrets/poolscope/client/token
    - name: POOLSCOPE_FORWARD_CA_FILE
      value: /run/secrets/poolscope/client/ca.crt
    {{- end }}
  ports:
    - name: poolscope
      containerPort: 9736
  {{- if not .classic }}
  # The app's container waits for this one: so it asks for the receiver, never the database.
  startupProbe:
    httpGet:
      path: /readyz
      port: poolscope
    periodSeconds: 1
    failureThreshold: 60
  {{- end }}
  livenessProbe:
    httpGet:
      path: /healthz
      port: poolscope
    periodSeconds: 10
    timeoutSeconds: 5
  resources:
    {{- if .resources }}
    {{- toYaml .resources | nindent 4 }}
    {{- else }}
    requests:
      cpu: 10m
      memory: 96Mi
    limits:
      memory: 192Mi
    {{- end }}
  securityContext:
    {{- include "poolscope.containerSecurityContext" . | nindent 4 }}
  volumeMounts:
    {{- if .databaseSecret }}
    - name: poolscope-database
      mountPath: /run/secrets/poolscope/database
      readOnly: true
    {{- else }}
    - name: poolscope-client
      mountPath: /run/secrets/poolscope/client
      readOnly: true
    {{- end }}
{{- end }}

{{- define "poolscope.sidecar.volumes" -}}
{{- if .databaseSecret }}
- name: poolscope-database
  secret:
    secretName: {{ .databaseSecret }}
    items:
      - key: password
        path: password
{{- else }}
- name: poolscope-client
  secret:
    secretName: {{ required "poolscope.sidecar.volumes needs clientSecret, or databaseSecret" .clientSecret }}
{{- end }}
{{- end }}
