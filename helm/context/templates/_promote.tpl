{{/* The Job that promotes records that in the audit, with the service role. */}}
{{- define "context.promoteEnvironment" -}}
{{- $folder := printf "%s/database" (include "context.secrets" .) -}}
{{ include "context.commonEnvironment" . }}
{{ include "context.temporalEnvironment" . }}
- name: TEMPORAL_WORKER_BUILD_ID
  value: {{ include "context.buildId" . | quote }}
- name: TEMPORAL_DEPLOYMENT_NAME
  value: {{ include "context.deploymentName" . | quote }}
- name: INTENT_DATABASE_URL_FILE
  value: {{ $folder }}/{{ .Values.database.keys.service }}
{{- with .Values.database.keys.direct }}
- name: INTENT_DATABASE_DIRECT_URL_FILE
  value: {{ $folder }}/{{ . }}
{{- end }}
{{- include "context.databaseTlsEnvironment" . }}
{{- end -}}

{{- define "context.promoteMounts" -}}
{{ include "context.temporalMounts" . }}
- name: database
  mountPath: {{ include "context.secrets" . }}/database
  readOnly: true
{{- include "context.databaseTlsMount" . }}
{{- end -}}

{{- define "context.promoteVolumes" -}}
{{ include "context.temporalVolumes" . }}
- name: database
  secret:
    secretName: {{ .Values.database.existingSecret }}
    defaultMode: 288
    items:
      - key: {{ .Values.database.keys.service }}
        path: {{ .Values.database.keys.service }}
      {{- with .Values.database.keys.direct }}
      - key: {{ . }}
        path: {{ . }}
      {{- end }}
{{- include "context.databaseTlsVolume" . }}
{{- end -}}
