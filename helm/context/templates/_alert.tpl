{{/* Labels and annotations of an alert; summary contains one %s, for the name of the release's context. */}}
{{- define "context.alert" -}}
{{- $rules := .root.Values.metrics.rules -}}
labels:
  severity: {{ .severity }}
  context: {{ .root.Values.context }}
  {{- with $rules.alertLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
annotations:
  summary: {{ printf .summary (include "context.fullname" .root) | quote }}
  description: {{ .description | quote }}
  {{- with $rules.runbook }}
  runbook_url: {{ printf "%s#%s" . (lower $.alert) | quote }}
  {{- end }}
{{- end -}}
