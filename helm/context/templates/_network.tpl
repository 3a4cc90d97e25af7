{{/* What every process of the context may reach: DNS, PostgreSQL and Temporal. */}}
{{- define "context.egress" -}}
{{- $policy := .Values.networkPolicy -}}
# Names.
- {{ include "context.peers" $policy.dns.to }}
  ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
# PostgreSQL.
- {{ include "context.peers" $policy.database.to }}
  ports:
    {{- range $policy.database.ports }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
# Temporal.
- {{ include "context.peers" $policy.temporal.to }}
  ports:
    - {port: {{ include "context.temporalPort" . }}, protocol: TCP}
{{- end -}}

{{/* Peers of a rule; an empty list means anywhere. */}}
{{- define "context.peers" -}}
to: {{ if . }}{{ toJson . }}{{ else }}[]{{ end }}
{{- end -}}
