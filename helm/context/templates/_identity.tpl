{{/* Set when pods call with tokens of their ServiceAccounts. */}}
{{- define "context.workloads" -}}
{{- if and (eq .Values.identity.mode "token") .Values.identity.workloads.enabled -}}yes{{- end -}}
{{- end -}}

{{/* The release of another context: in the same release, or named alike. */}}
{{- define "context.alike" -}}
{{- $own := include "context.fullname" .root -}}
{{- $name := replace "_" "-" .context -}}
{{- ternary (replace (include "context.name" .root) $name $own) $name (contains (include "context.name" .root) $own) -}}
{{- end -}}

{{/*
The ServiceAccounts that may call, with what they are: those of contexts that consume the events of this one,
that of the test, and those that the values name.
*/}}
{{- define "context.serviceAccounts" -}}
{{- $root := . -}}
{{- $found := dict -}}
{{- range $path, $_ := .Files.Glob "contexts/*.yaml" -}}
{{- $context := base $path | trimSuffix ".yaml" -}}
{{- if has $root.Values.context (($root.Files.Get $path | fromYaml).calls | default list) -}}
{{- $account := printf "%s/%s" $root.Release.Namespace (include "context.alike" (dict "root" $root "context" $context)) -}}
{{- $_ := set $found $account (dict "actor" (printf "service:%s" $context) "roles" (list "consumer" "consumer-all")) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.tests.enabled (not .Values.tests.tokenSecret) -}}
{{- $account := printf "%s/%s-test" .Release.Namespace (include "context.fullname" .) -}}
{{- $_ := set $found $account (dict "actor" "service:helm-test" "roles" (splitList "," .Values.tests.roles) "tenants" (list .Values.tests.tenant)) -}}
{{- end -}}
{{- range $account, $given := .Values.identity.workloads.serviceAccounts -}}
{{- $_ := set $found $account $given -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{/* The issuers of tokens as JSON: those of the values, and the cluster. */}}
{{- define "context.issuers" -}}
{{- $issuers := .Values.identity.issuers -}}
{{- if include "context.workloads" . -}}
{{- $folder := printf "%s/cluster" (include "context.secrets" .) -}}
{{- with .Values.identity.workloads -}}
{{- $cluster := dict "issuer" .issuer "audience" .audience "jwks_url" .jwksUrl "any_tenant_role" .anyTenantRole -}}
{{- $_ := set $cluster "ca_file" (printf "%s/ca.crt" $folder) -}}
{{- $_ := set $cluster "token_file" (printf "%s/token" $folder) -}}
{{- $_ := set $cluster "service_accounts" (include "context.serviceAccounts" $ | fromJson) -}}
{{- $issuers = append $issuers $cluster -}}
{{- end -}}
{{- end -}}
{{- toJson $issuers -}}
{{- end -}}

{{/* Variables that say how callers are identified, and with what the process calls other contexts. */}}
{{- define "context.identityEnvironment" -}}
{{- $identity := .Values.identity -}}
- name: INTENT_IDENTITY_MODE
  value: {{ $identity.mode }}
{{- if eq $identity.mode "token" }}
- name: INTENT_IDENTITY_ISSUERS
  value: {{ include "context.issuers" . | quote }}
{{- with $identity.audience }}
- name: INTENT_IDENTITY_AUDIENCE
  value: {{ join "," . | quote }}
{{- end }}
{{- range $claim, $variable := dict "actor" "ACTOR_CLAIM" "actorPrefix" "ACTOR_PREFIX" "tenants" "TENANTS_CLAIM" "roles" "ROLES_CLAIM" "anyTenantRole" "ANY_TENANT_ROLE" }}
- name: INTENT_IDENTITY_{{ $variable }}
  value: {{ get $identity.claims $claim | quote }}
{{- end }}
{{- if include "context.callsWithToken" . }}
- name: INTENT_IDENTITY_TOKEN_FILE
  value: {{ include "context.secrets" . }}/workload/token
{{- if $identity.tokensInPlainText }}
- name: INTENT_IDENTITY_TOKEN_IN_PLAIN_TEXT
  value: "true"
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Set when the processes call other contexts with a token. */}}
{{- define "context.callsWithToken" -}}
{{- if and (include "context.workloads" .) (include "context.facts" . | fromYaml).calls -}}yes{{- end -}}
{{- end -}}

{{- define "context.identityMounts" -}}
{{- if include "context.workloads" . }}
- name: cluster
  mountPath: {{ include "context.secrets" . }}/cluster
  readOnly: true
{{- end }}
{{- if include "context.callsWithToken" . }}
{{ include "context.workloadMount" . }}
{{- end }}
{{- end -}}

{{/* What fetching the cluster's keys takes, and the token for other contexts. */}}
{{- define "context.identityVolumes" -}}
{{- if include "context.workloads" . }}
- name: cluster
  projected:
    defaultMode: 288
    sources:
      - serviceAccountToken:
          path: token
          expirationSeconds: {{ .Values.identity.workloads.expirationSeconds }}
      - configMap:
          name: kube-root-ca.crt
          items:
            - {key: ca.crt, path: ca.crt}
{{- end }}
{{- if include "context.callsWithToken" . }}
{{ include "context.workloadVolume" . }}
{{- end }}
{{- end -}}

{{- define "context.workloadMount" -}}
- name: workload
  mountPath: {{ include "context.secrets" . }}/workload
  readOnly: true
{{- end -}}

{{/* The token of the pod for contexts, which the kubelet renews. */}}
{{- define "context.workloadVolume" -}}
- name: workload
  projected:
    defaultMode: 288
    sources:
      - serviceAccountToken:
          path: token
          audience: {{ .Values.identity.workloads.audience | quote }}
          expirationSeconds: {{ .Values.identity.workloads.expirationSeconds }}
{{- end -}}

{{/* Set when the test calls with the token of its ServiceAccount. */}}
{{- define "context.testsAsWorkload" -}}
{{- if and (include "context.workloads" .) .Values.tests.enabled (not .Values.tests.tokenSecret) -}}yes{{- end -}}
{{- end -}}

{{/* The ports on which issuers are reached, one a line; none where files have the keys. */}}
{{- define "context.issuerPorts" -}}
{{- $ports := dict -}}
{{- if eq .Values.identity.mode "token" -}}
{{- range include "context.issuers" . | fromJsonArray -}}
{{- if not .jwks_file -}}
{{- $url := coalesce .jwks_url .discovery .issuer -}}
{{- $port := regexFind ":[0-9]+$" (urlParse $url).host | trimPrefix ":" | default "443" -}}
{{- $_ := set $ports $port true -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- keys $ports | sortAlpha | join "\n" -}}
{{- end -}}

{{- define "context.problemsOfIdentity" -}}
{{- $identity := .Values.identity -}}
{{- if eq $identity.mode "dev" }}
{{- if and (not .Values.networkPolicy.enabled) (not $identity.trustEveryCaller) }}
identity.mode dev trusts what callers say about themselves: set networkPolicy.enabled=true so that only named callers reach the port, or identity.trustEveryCaller=true where something else keeps others out
{{- end }}
{{- if or $identity.issuers $identity.audience }}
identity.mode dev asks for no token, so identity.issuers and identity.audience have no effect: set identity.mode=token, or leave them out
{{- end }}
{{- else }}
{{- if not $identity.issuers }}
identity.mode token needs an issuer of tokens: set identity.issuers[0].issuer to its URL, and identity.audience[0] to the audience of its tokens
{{- end }}
{{- range $issuer := $identity.issuers }}
{{- if not (or $issuer.audience $identity.audience) }}
identity.issuers has no audience for {{ $issuer.issuer }}: set identity.audience, or audience of the issuer
{{- end }}
{{- end }}
{{- if and (include "context.facts" . | fromYaml).calls (not $identity.workloads.enabled) }}
identity.workloads.enabled is false, so the consumers of {{ .Values.context }} have no token for {{ (include "context.facts" . | fromYaml).calls | join ", " }}: set identity.workloads.enabled=true
{{- end }}
{{- $sends := or (include "context.callsWithToken" .) .Values.tests.enabled }}
{{- if and $sends (not $identity.tokensInPlainText) (not .Values.tls.enabled) }}
identity.mode token would send tokens in plain text within the cluster: set tls.enabled=true, or identity.tokensInPlainText=true where something else protects the network, such as a service mesh
{{- end }}
{{- if and .Values.tests.enabled (not $identity.workloads.enabled) (not .Values.tests.tokenSecret) }}
tests.enabled has no token to call with: set identity.workloads.enabled=true, or tests.tokenSecret, or tests.enabled=false
{{- end }}
{{- end }}
{{- end -}}
