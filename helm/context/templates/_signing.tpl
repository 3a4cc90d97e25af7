{{/* The keys by which what goes over Temporal carries a MAC. */}}
{{- define "context.signingEnvironment" -}}
{{- with .Values.temporal.signing }}
{{- if .enabled }}
- name: INTENT_TEMPORAL_KEYS
  value: {{ include "context.secrets" $ }}/temporal-keys
{{- with .unsignedUntil }}
- name: INTENT_TEMPORAL_UNSIGNED_UNTIL
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "context.signingMount" -}}
{{- if .Values.temporal.signing.enabled }}
- name: temporal-keys
  mountPath: {{ include "context.secrets" . }}/temporal-keys
  readOnly: true
{{- end }}
{{- end -}}

{{/* All of the Secret, as a folder and without subPath, so that a new key reaches the process. */}}
{{- define "context.signingVolume" -}}
{{- with .Values.temporal.signing }}
{{- if .enabled }}
- name: temporal-keys
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 288
{{- end }}
{{- end }}
{{- end -}}

{{- define "context.problemsOfSigning" -}}
{{- with .Values.temporal.signing }}
{{- if and .enabled (not .existingSecret) }}
temporal.signing.enabled is set but temporal.signing.existingSecret is not: create a Secret with a key, as docs/deploying.md shows, and set it; or set temporal.signing.enabled=false where nobody else reaches Temporal's namespace
{{- end }}
{{- if and .existingSecret (not .enabled) }}
temporal.signing.existingSecret is set but temporal.signing.enabled is not: set temporal.signing.enabled=true
{{- end }}
{{- if and .unsignedUntil (not .enabled) }}
temporal.signing.unsignedUntil is set but temporal.signing.enabled is not, so that everything is believed: set temporal.signing.enabled=true
{{- end }}
{{- $time := "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:[0-9]{2})" }}
{{- $windows := printf "^(%s/)?%s(, *%s/%s)*$" $time $time $time $time }}
{{- if and .unsignedUntil (not (regexMatch $windows .unsignedUntil)) }}
temporal.signing.unsignedUntil {{ .unsignedUntil | quote }} is not a time with its zone: set it to e.g. "2027-01-31T12:00:00Z", in quotes; further windows follow it, as in "2027-01-31T12:00:00Z,2027-03-01T09:00:00Z/2027-03-02T09:00:00Z"
{{- end }}
{{- end }}
{{- end -}}
