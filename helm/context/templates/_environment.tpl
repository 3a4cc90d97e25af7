{{/* The folder of the Secrets' files. */}}
{{- define "context.secrets" -}}/run/secrets/intent{{- end -}}

{{/* Variables of every process of the context, including Jobs. */}}
{{- define "context.commonEnvironment" -}}
- name: INTENT_CONTEXT
  value: {{ .Values.context }}
{{- end -}}

{{/* Variables with which a process reaches Temporal. */}}
{{- define "context.temporalEnvironment" -}}
{{- $folder := printf "%s/temporal-tls" (include "context.secrets" .) -}}
{{- $tls := .Values.temporal.tls -}}
- name: TEMPORAL_ADDRESS
  value: {{ include "context.temporalAddress" . | quote }}
- name: TEMPORAL_NAMESPACE
  value: {{ include "context.temporalNamespace" . | quote }}
{{- if $tls.enabled }}
- name: TEMPORAL_TLS
  value: "true"
{{- with $tls.serverName }}
- name: TEMPORAL_TLS_SERVER_NAME
  value: {{ . | quote }}
{{- end }}
{{- if $tls.existingSecret }}
{{- with $tls.keys.ca }}
- name: TEMPORAL_TLS_SERVER_CA_CERT_PATH
  value: {{ $folder }}/{{ . }}
{{- end }}
{{- with $tls.keys.certificate }}
- name: TEMPORAL_TLS_CLIENT_CERT_PATH
  value: {{ $folder }}/{{ . }}
{{- end }}
{{- with $tls.keys.privateKey }}
- name: TEMPORAL_TLS_CLIENT_KEY_PATH
  value: {{ $folder }}/{{ . }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.temporal.apiKey.existingSecret }}
- name: TEMPORAL_API_KEY_FILE
  value: {{ include "context.secrets" $ }}/temporal-api-key/{{ $.Values.temporal.apiKey.key }}
{{- end }}
{{- end -}}

{{/*
Variables for Temporal that the Temporal Worker Controller does not add: TLS with an API key, and the
certificate authority with mTLS, whose Secret it mounts as a whole.
*/}}
{{- define "context.besideController" -}}
{{- $tls := .Values.temporal.tls -}}
{{- $mutual := and $tls.existingSecret $tls.keys.certificate -}}
{{- $authority := and $tls.existingSecret $tls.keys.ca -}}
{{- if and $tls.enabled $mutual $authority }}
- name: TEMPORAL_TLS_SERVER_CA_CERT_PATH
  value: /etc/temporal/tls/{{ $tls.keys.ca }}
{{- end }}
{{- if and $tls.enabled (not $mutual) (not $authority) }}
- name: TEMPORAL_TLS
  value: "true"
{{- end }}
{{- end -}}

{{/* Variables for the check of PostgreSQL's certificate. */}}
{{- define "context.databaseTlsEnvironment" -}}
{{- $folder := printf "%s/database-tls" (include "context.secrets" .) -}}
{{- with .Values.database.tls }}
{{- if .mode }}
- name: PGSSLMODE
  value: {{ .mode }}
{{- end }}
{{- if .existingSecret }}
{{- with .keys.ca }}
- name: PGSSLROOTCERT
  value: {{ $folder }}/{{ . }}
{{- end }}
{{- with .keys.certificate }}
- name: PGSSLCERT
  value: {{ $folder }}/{{ . }}
{{- end }}
{{- with .keys.privateKey }}
- name: PGSSLKEY
  value: {{ $folder }}/{{ . }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Addresses of the contexts that this one calls; by default the Services of the same release or of releases named alike. */}}
{{- define "context.addresses" -}}
{{- $root := . -}}
{{- $found := list -}}
{{- range (include "context.facts" . | fromYaml).calls -}}
{{- $alike := include "context.alike" (dict "root" $root "context" .) -}}
{{- $default := printf "%s:%d" $alike (int $root.Values.service.port) -}}
{{- $found = append $found (printf "%s=%s" . (get $root.Values.contextAddresses . | default $default)) -}}
{{- end -}}
{{- join "," $found -}}
{{- end -}}

{{/* Variables of servers and workers; .temporal is false where a controller adds Temporal's. */}}
{{- define "context.processEnvironment" -}}
{{- $values := .root.Values -}}
{{- $folder := printf "%s/database" (include "context.secrets" .root) -}}
{{ include "context.commonEnvironment" .root }}
- name: INTENT_HOST
  value: {{ $values.listenAddress | quote }}
- name: INTENT_PORT
  value: {{ $values.service.port | quote }}
- name: INTENT_METRICS_HOST
  value: {{ $values.listenAddress | quote }}
- name: INTENT_METRICS_PORT
  value: {{ $values.metrics.port | quote }}
{{- include "context.tlsEnvironment" .root }}
{{- include "context.tlsClientsEnvironment" .root }}
{{ include "context.identityEnvironment" .root }}
- name: INTENT_DRAIN_TIMEOUT
  value: {{ $values.shutdown.drainSeconds | quote }}
{{- with include "context.addresses" .root }}
- name: INTENT_CONTEXT_ADDRESSES
  value: {{ . | quote }}
{{- end }}
- name: INTENT_DATABASE_URL_FILE
  value: {{ $folder }}/{{ $values.database.keys.service }}
{{- with $values.database.keys.query }}
- name: INTENT_QUERY_DATABASE_URL_FILE
  value: {{ $folder }}/{{ . }}
{{- end }}
{{- with $values.database.keys.direct }}
- name: INTENT_DATABASE_DIRECT_URL_FILE
  value: {{ $folder }}/{{ . }}
{{- end }}
{{- include "context.databaseTlsEnvironment" .root }}
{{- if .temporal }}
{{ include "context.temporalEnvironment" .root }}
{{- else }}
{{- include "context.besideController" .root }}
{{- end }}
{{- include "context.signingEnvironment" .root }}
{{- if $values.versioning.enabled }}
- name: TEMPORAL_WORKER_BUILD_ID
  value: {{ include "context.buildId" .root | quote }}
- name: TEMPORAL_DEPLOYMENT_NAME
  value: {{ include "context.deploymentName" .root | quote }}
{{- end }}
{{- with $values.versioning.pinnedSagas }}
- name: INTENT_PINNED_SAGAS
  value: {{ join "," . | quote }}
{{- end }}
{{- range $name, $value := $values.settings }}
- name: {{ $name }}
  value: {{ include "context.text" $value | quote }}
{{- end }}
{{- with $values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* A value as text; numbers from JSON would be written as 1e+06. */}}
{{- define "context.text" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) -}}{{ int64 . }}{{- else -}}{{ . }}{{- end -}}
{{- end -}}

{{- define "context.processVolumeMounts" -}}
- name: scratch
  mountPath: /tmp
- name: database
  mountPath: {{ include "context.secrets" .root }}/database
  readOnly: true
{{- include "context.databaseTlsMount" .root }}
{{- include "context.tlsMount" .root }}
{{- include "context.identityMounts" .root }}
{{- include "context.signingMount" .root }}
{{- if .temporal }}
{{- include "context.temporalMounts" .root }}
{{- end }}
{{- end -}}

{{- define "context.processVolumes" -}}
{{- $database := .root.Values.database -}}
{{ include "context.scratchVolume" .root }}
- name: database
  secret:
    secretName: {{ $database.existingSecret }}
    defaultMode: 288
    items:
      - key: {{ $database.keys.service }}
        path: {{ $database.keys.service }}
      {{- with $database.keys.query }}
      - key: {{ . }}
        path: {{ . }}
      {{- end }}
      {{- with $database.keys.direct }}
      - key: {{ . }}
        path: {{ . }}
      {{- end }}
{{- include "context.databaseTlsVolume" .root }}
{{- include "context.tlsVolume" .root }}
{{- include "context.identityVolumes" .root }}
{{- include "context.signingVolume" .root }}
{{- if .temporal }}
{{- include "context.temporalVolumes" .root }}
{{- end }}
{{- end -}}

{{- define "context.scratchVolume" -}}
- name: scratch
  emptyDir:
    sizeLimit: {{ .Values.scratchSize }}
{{- end -}}

{{- define "context.databaseTlsMount" -}}
{{- if .Values.database.tls.existingSecret }}
- name: database-tls
  mountPath: {{ include "context.secrets" . }}/database-tls
  readOnly: true
{{- end }}
{{- end -}}

{{- define "context.databaseTlsVolume" -}}
{{- with .Values.database.tls }}
{{- if .existingSecret }}
- name: database-tls
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 288
    items:
      {{- range list .keys.ca .keys.certificate .keys.privateKey }}
      {{- if . }}
      - key: {{ . }}
        path: {{ . }}
      {{- end }}
      {{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "context.temporalMounts" -}}
{{- if and .Values.temporal.tls.enabled .Values.temporal.tls.existingSecret }}
- name: temporal-tls
  mountPath: {{ include "context.secrets" . }}/temporal-tls
  readOnly: true
{{- end }}
{{- if .Values.temporal.apiKey.existingSecret }}
- name: temporal-api-key
  mountPath: {{ include "context.secrets" . }}/temporal-api-key
  readOnly: true
{{- end }}
{{- end -}}

{{- define "context.temporalVolumes" -}}
{{- with .Values.temporal.tls }}
{{- if and .enabled .existingSecret }}
- name: temporal-tls
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 288
    items:
      {{- range list .keys.ca .keys.certificate .keys.privateKey }}
      {{- if . }}
      - key: {{ . }}
        path: {{ . }}
      {{- end }}
      {{- end }}
{{- end }}
{{- end }}
{{- with .Values.temporal.apiKey }}
{{- if .existingSecret }}
- name: temporal-api-key
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 288
    items:
      - key: {{ .key }}
        path: {{ .key }}
{{- end }}
{{- end }}
{{- end -}}
