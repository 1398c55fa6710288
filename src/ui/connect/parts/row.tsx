import { Component } from 'preact';
import type { Integration } from '../api-types.ts';
import type { Words } from '../words/en.ts';
import { Logo } from './logo.tsx';

interface Props {
    readonly integration: Integration;
    /** The search does not find it. */
    readonly isHidden: boolean;
    /** Its form is being opened, or could not be. */
    readonly state: 'idle' | 'busy' | 'failed';
    readonly words: Words;
    onPick(integration: Integration): void;
}

/** One integration of the list. There may be a thousand, so one that stays as it is is not looked at again. */
export class Row extends Component<Props> {
    override shouldComponentUpdate({ integration, isHidden, state }: Props): boolean {
        return integration !== this.props.integration || isHidden !== this.props.isHidden || state !== this.props.state;
    }

    render({ integration, isHidden, state, words, onPick }: Props) {
        const { unique_key: key, display_name: name, logo } = integration;
        return (
            <li hidden={isHidden}>
                <button type="button" class="row" data-integration={key} aria-busy={state === 'busy'} onClick={() => onPick(integration)}>
                    <Logo src={logo} name={name} />
                    <span class="name">{name}</span>
                    {state === 'busy' && <span class="spinner" aria-hidden="true" />}
                </button>
                {state === 'failed' && (
                    <p class="fault" role="alert">
                        {words.list.failed}
                    </p>
                )}
            </li>
        );
    }
}
